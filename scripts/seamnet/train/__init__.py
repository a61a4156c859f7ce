"""Training the compact network: data, stored features, losses, and the stages in their order."""
