"""Tables 1 to 6 of the paper: our rows and the printed ones, the null beside each ECE, captions."""
