"""The pages of the console: HTML that works without JavaScript, from the same operations as the API."""
