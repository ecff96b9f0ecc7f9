"""Values to text; decides nothing. Layer: render."""
