"""Physics-simulated recordings of a struck and touching robot arm, with exact contact truth."""
