"""Files that users send beside messages: the upload as it comes, names and types, the XML that goes into the message."""
