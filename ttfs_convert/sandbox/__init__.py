"""Files that nobody here has tried before are tried in a process of their own: what crashes onnx or ONNX Runtime, fills the memory or never ends,
ends that process and not the command.

`trial.py`       one file: whether it has been tried before, else the process, and what the command says where that ends badly
`remembered.py`  which files have passed, in the user's cache
`box.py`         the process from outside: it is started, asked, waited for, ended
`inside.py`      the process from inside: its limits, and what it answers
`probes.py`      what it does with a model, or with a network's models: all that the command will do with them, once, on zeros
"""
