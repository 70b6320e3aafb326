"""What can be measured: targets that play a card and return a transcript."""
