"""What the scripts share: arguments, labelling jobs, ``--resume`` and ``--watch``."""
