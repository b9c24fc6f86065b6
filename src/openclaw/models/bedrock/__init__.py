"""Amazon Bedrock: Converse over AWS' event stream, and InvokeModel for imported models."""
