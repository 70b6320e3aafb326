"""A compact multi-agent assistant: routing, specialists, tools, knowledge and memory behind one wire contract."""
