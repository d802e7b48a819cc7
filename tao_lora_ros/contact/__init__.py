"""What touches the robot: the load that motion explains, what is left of it, and how long."""
