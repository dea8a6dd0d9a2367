"""Who a message is from, who may say so, and which header fields pass which border (rule R10). See docs/identity.md."""
