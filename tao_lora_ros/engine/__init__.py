"""The pipeline: messages in, inferences and events out. No ROS here."""
