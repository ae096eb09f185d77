"""Fit layers and neck by least squares to what an unmerged model gives for calibration images."""
