"""Training the compact network: data, losses, the stages and the loop that runs them, recipes."""
