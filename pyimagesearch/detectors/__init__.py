"""What learns normal data and scores new data; ``base`` is the contract of all of them."""
