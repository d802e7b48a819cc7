"""From recordings to an artifact: data sets, fit, quantise, calibrate."""
