"""Where a study lives, from arrival to receipt."""
