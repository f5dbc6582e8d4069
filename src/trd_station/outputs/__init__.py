"""Where results go besides HTTP: `outbox` (nothing is lost), and webhook, MQTT and OPC UA on top of it."""
