"""What a person sees: the replay summary, the alerts with their why, and the pages about rules."""
