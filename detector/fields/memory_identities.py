"""What memory knows of those who act: refused before, from elsewhere, never done before. Facts before the request."""

from __future__ import annotations

from detector.event import Event
from detector.fields.actor import actor, agent_family, effective_groups, effective_user
from detector.fields.credentials import credential_node
from detector.fields.facts import facts_of
from detector.fields.habits import LONGEST_CHAIN, Day, Refusal
from detector.fields.memory_objects import age
from detector.fields.network import source_chain, source_ip
from detector.fields.registry import derived


def _refusal(event: Event) -> Refusal | None:
    facts = facts_of(event)
    return facts.denied.get(event, facts.now) if facts else None


@derived("memory.unseen", "boolean")
def unseen(event: Event) -> bool | None:
    """True unless memory saw the same user do such a thing, in the same way and place, a few minutes ago; else null.

    The fields that tell what is new are null where this is, so that they need not be asked. For these fields, not for
    rules of your own: after a restart everything is unseen once.
    """
    facts = facts_of(event)
    return None if facts is None or facts.familiar else True


@derived("memory.denied.age", "number")
def denied_age(event: Event) -> float | None:
    """How many seconds ago the same was last refused to the same user: verb, resource and namespace.

    The user is the one the request is authorised as. For an impersonation also the last time that the actor was
    refused any. Null when there was no such refusal within an hour, and once it was allowed since.
    """
    facts, found = facts_of(event), _refusal(event)
    return age(facts, found.last) if facts and found else None


@derived("memory.denied.count", "number")
def denied_count(event: Event) -> int | None:
    """How often the same was refused to the same user until then; null like memory.denied.age."""
    found = _refusal(event)
    return found.count if found else None


@derived("memory.token.other_source", "text", within="memory.unseen")
def token_other_source(event: Event) -> str | None:
    """The address that the request's credential came from before, when it now comes from one it never came from.

    A pod's tokens count as one credential, by the uid of the pod. By source.ip, which no client can choose. Null when
    it comes from where it came from before, when it was not seen before, and when it comes from many places.
    """
    facts = facts_of(event)
    return facts.tokens.other_source(event) if facts and not facts.familiar else None


@derived("memory.token.other_node", "text", within="memory.unseen")
def token_other_node(event: Event) -> str | None:
    """The node whose address the request comes from, when the token was made for a pod on another node.

    Null where memory.token.other_source is, for other credentials, and when memory knows no node, or several, there.
    """
    facts, own = facts_of(event), credential_node(event)
    if facts is None or own is None or token_other_source(event) is None:
        return None
    found = facts.tokens.node_at(source_ip(event))
    return found if found != own else None


@derived("memory.token.outside_pod", "boolean")
def token_outside_pod(event: Event) -> bool | None:
    """Whether a pod's token comes from where the pod is not: neither its own address nor that of its node.

    Those are known from what nodes say of their pods, once that has proven true of some; else it is true of an address
    that no pod and no node came from before, for a pod that came from another one first. False when it comes from
    where the pod is. Null for other credentials, and where memory knows too little; also behind gateways.
    """
    facts = facts_of(event)
    return facts.tokens.outside(event) if facts else None


@derived("memory.node.other_source", "text", within="memory.unseen")
def node_other_source(event: Event) -> str | None:
    """The address that a node's identity (system:node:NAME) came from before, when it now comes from a new one.

    Null like memory.token.other_source, and for everybody else.
    """
    facts = facts_of(event)
    return facts.tokens.node_other_source(event) if facts and not facts.familiar else None


def _is_new(event: Event, habit: str, value: str | None) -> bool | None:
    facts = facts_of(event)
    if facts is None or facts.familiar or not value:
        return None
    return facts.identities.is_new(effective_user(event), habit, value) or None


@derived("memory.actor.new_source", "boolean", within="memory.unseen")
def new_source(event: Event) -> bool | None:
    """True when the user never came from this address (source.ip) before, else null.

    The user, here and in the other fields memory.actor.new_*, is the one that requests are authorised as, and has been
    active in twelve different spans of five minutes. Null also for whom memory does not know so well, and for whom it
    says nothing, because he does so many different things (here: 24 addresses) that nothing is new.
    """
    return _is_new(event, "source", source_ip(event))


@derived("memory.actor.new_user_agent", "boolean", within="memory.unseen")
def new_user_agent(event: Event) -> bool | None:
    """True when the user never used this program (agent.family) before; null like memory.actor.new_source (12)."""
    return _is_new(event, "agent", agent_family(event))


@derived("memory.actor.new_verb", "boolean", within="memory.unseen")
def new_verb(event: Event) -> bool | None:
    """True when the user never used this verb before; null like memory.actor.new_source (12 verbs)."""
    return _is_new(event, "verb", event.verb)


@derived("memory.actor.new_resource", "boolean", within="memory.unseen")
def new_resource(event: Event) -> bool | None:
    """True when the user never touched this kind of resource before; null like memory.actor.new_source (48)."""
    return _is_new(event, "resource", event.objectRef.resource if event.objectRef else None)


@derived("memory.actor.new_namespace", "boolean", within="memory.unseen")
def new_namespace(event: Event) -> bool | None:
    """Whether the user was never in this namespace before; null like memory.actor.new_source (48)."""
    return _is_new(event, "namespace", event.objectRef.namespace if event.objectRef else None)


@derived("memory.actor.new_subresource", "boolean", within="memory.unseen")
def new_subresource(event: Event) -> bool | None:
    """True when the user never used this subresource (exec, log ...) before; null like memory.actor.new_source (12).

    Null also for a request on no subresource.
    """
    return _is_new(event, "subresource", event.objectRef.subresource if event.objectRef else None)


@derived("memory.actor.new_impersonation", "boolean", within="memory.unseen")
def new_impersonation(event: Event) -> bool | None:
    """True when the actor never impersonated this user before; null like memory.actor.new_source (24 users).

    Null also without impersonation. Of the actor himself, not of the user that he impersonates.
    """
    facts, other = facts_of(event), event.impersonatedUser
    if facts is None or facts.familiar or other is None or not other.username:
        return None
    return facts.identities.is_new(actor(event), "impersonated", other.username) or None


@derived("memory.actor.source_chain_new", "boolean", within="memory.unseen")
def source_chain_new(event: Event) -> bool | None:
    """True when the user's requests never had so many addresses (source.chain) before; null like ….new_source (6).

    Somebody who always came directly and now claims to be forwarded, or the other way round.
    """
    chain: int | None = source_chain(event)
    return _is_new(event, "chain", str(min(chain, LONGEST_CHAIN)) if chain else None)


@derived("memory.actor.groups_added", "list of text", within="memory.unseen")
def groups_added(event: Event) -> list[str] | None:
    """The groups of the user that he never had before; null when there are none.

    By the user that the request is authorised as. Null also when memory knows no groups of his, or more than 48.
    """
    facts, stated = facts_of(event), effective_groups(event)
    if facts is None or facts.familiar or not stated:
        return None
    return facts.identities.groups_added(effective_user(event), stated) or None


@derived("memory.actor.other_network", "text")
def other_network(event: Event) -> str | None:
    """Another public network from which the same person came within the last hour.

    A network is what an address has in common with its neighbours: 24 bits of IPv4, 48 of IPv6. Null when there is
    none, for private addresses, and for all but people.
    """
    facts = facts_of(event)
    return facts.identities.other_network(effective_user(event), source_ip(event), facts.now) if facts else None


@derived("memory.actor.other_platform", "text")
def other_platform(event: Event) -> str | None:
    """Another operating system (linux, darwin, windows) on which the same person worked within the last hour.

    By the client's own word, so a reason to look, not to trust. Null when there is none, and for all but people.
    """
    facts = facts_of(event)
    return facts.identities.other_platform(effective_user(event), event.userAgent, facts.now) if facts else None


def _today(event: Event) -> Day | None:
    facts = facts_of(event)
    return facts.identities.today(effective_user(event), facts.now) if facts else None


@derived("memory.actor.secrets_today", "number")
def secrets_today(event: Event) -> int | None:
    """How many different Secrets the user has read today (UTC), as far as 200; all of a namespace count as one.

    Null when memory saw none.
    """
    found = _today(event)
    return len(found.secrets) or None if found else None


@derived("memory.actor.secrets_usual", "number")
def secrets_usual(event: Event) -> int | None:
    """The most Secrets that the user has read on an earlier day; null when memory knows no earlier day of his."""
    found = _today(event)
    return found.usual if found else None


@derived("memory.actor.namespaces_today", "number")
def namespaces_today(event: Event) -> int | None:
    """In how many different namespaces the user was today (UTC), as far as 100; null when memory saw none."""
    found = _today(event)
    return len(found.namespaces) or None if found else None
