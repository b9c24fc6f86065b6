"""Language models inside the house: a llama.cpp process of our own, and tool use by constrained sampling."""
