"""What was asked for is checked before anything is made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import ConfigError
from detector.setup.plan import Plan


@pytest.mark.parametrize(
    ("url", "meant", "host"),
    [
        ("https://10.0.0.5:8889", "https://10.0.0.5:8889", "10.0.0.5"),
        ("https://Redshank.Example:443/", "https://redshank.example:443", "redshank.example"),
        ("https://[FD00::5]:8889", "https://[fd00::5]:8889", "fd00::5"),
    ],
)
def test_an_address_is_taken(url: str, meant: str, host: str) -> None:
    plan = Plan.make(["prod"], url)
    assert (plan.url, plan.hosts) == (meant, (host,))


def test_further_names_follow_and_clusters_count_once() -> None:
    plan = Plan.make(["b", "a", "b"], "https://r.example:1", ["192.0.2.1", "other.example"])
    assert plan.clusters == ("b", "a")
    assert plan.hosts == ("r.example", "192.0.2.1", "other.example")


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.5:8889",
        "https://10.0.0.5",
        "https://10.0.0.5:0",
        "https://10.0.0.5:70000",
        "https://10.0.0.5:8889/audit",
        "https://10.0.0.5:8889?cluster=prod",
        "https://10.0.0.5:8889/#x",
        "https://jane@10.0.0.5:8889",
        "https://:8889",
        "https://[fe80::1%25eth0]:8889",
        "https://a b:8889",
        "https://a$(id).example:8889",
        "https://[::1:8889",
        "10.0.0.5:8889",
        "https://" + "a." * 127 + "example:1",
    ],
)
def test_an_address_that_would_not_work_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"--url .*(give|such as|zone|nothing may follow)"):
        Plan.make(["prod"], url)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-a", "a\n", "a" * 101])
def test_a_name_that_is_no_cluster_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--cluster"):
        Plan.make([name], "https://r.example:1")


@given(st.text(max_size=40))
def test_no_text_gets_anything_but_names_and_addresses_into_a_file(text: str) -> None:
    try:
        plan = Plan.make(["prod"], f"https://{text}:8889", [text])
    except ConfigError:
        return
    assert not set(plan.url + "".join(plan.hosts)) & set("\"'`$\\ \n\t;|&<>#{}")
