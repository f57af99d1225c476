"""What each command and each script does, one file each: ``main(argv)`` returns its exit status.

``command_line`` names them and starts them; each file's docstring is what its ``--help`` begins
with.
"""
