"""The ROS 2 side: the node, and what plays and records beside it."""
