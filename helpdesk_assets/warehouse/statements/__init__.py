"""The statements, one module per question, as pure text with parameters."""
