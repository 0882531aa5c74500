"""What every service of the platform has in common. The platform owns this package."""
