"""The counter: method name to params, result, scope, rate and handler."""
