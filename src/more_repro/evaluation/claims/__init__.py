"""The paper's claims, each with a rule written beforehand, and the verdict of the data."""
