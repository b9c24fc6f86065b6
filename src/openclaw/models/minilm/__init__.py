"""Sentence embeddings on this machine: all-MiniLM-L6-v2 (int8), of the extra `embeddings`.

`vocab.txt` is the vocabulary of BERT base uncased, Copyright The Google AI Language Team Authors, Apache License 2.0.
"""
