"""What stands on an operator's desk: keys, signed settings, the printed sheet, and boards made ready by cable."""
