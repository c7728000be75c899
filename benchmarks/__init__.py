"""How fast faktory_unique is, next to what one would write without it. See README.md here."""
