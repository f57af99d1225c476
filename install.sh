#!/bin/sh
# Install a requirements file; where OpenCV's window libraries are missing from the system, take
# the OpenCV without windows instead. The two must never be installed together.
set -eu
python=$1
requirements=$2
shift 2 # what is left are options of pip

headless() {
    resolved=$("$python" -m pip freeze | sed -n 's/^opencv-contrib-python==//p')
    "$python" -m pip uninstall --quiet --yes opencv-contrib-python
    "$python" -m pip install --quiet "$@" "opencv-contrib-python-headless==$resolved"
}

# From an earlier run on this system.
"$python" -m pip uninstall --quiet --yes opencv-contrib-python-headless 2>/dev/null
"$python" -m pip install --quiet --disable-pip-version-check "$@" -r "$requirements"
if ! "$python" -c "import cv2" 2>/dev/null; then
    echo "[INFO] this system lacks the libraries that OpenCV's windows need (libGL, libxcb, glib):"
    echo "[INFO] using opencv-contrib-python-headless; everything works but --show"
    headless "$@"
    "$python" -c "import cv2"
fi
