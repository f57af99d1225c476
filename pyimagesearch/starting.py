"""What the scripts import first: Ctrl-C ends them without a traceback while they still start.

The system ends the process then, as it does with programs that need not import anything;
``options.run`` takes over where there is something to clean up.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
