"""What one reward model's scores show: accuracy, ECE and its null band, slope, margins, length bias."""
