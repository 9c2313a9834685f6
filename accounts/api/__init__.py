"""What every resource of the management API keeps to, and the resources of people and projects."""
