#!/usr/bin/env bash
# The README's table: lite-residual on the rendered classes, lite-rgb-memory-bank on photographs of a tire.
#   benchmarks/rendered3d.sh DATA OUT      with DATA/rendered3d and DATA/mvtec3d_tire_rgb
set -euo pipefail
data=$1 out=$2
trd train --data "$data/rendered3d" --recipe lite-residual --out "$out/rendered3d"
trd train --data "$data/mvtec3d_tire_rgb" --recipe lite-rgb-memory-bank --out "$out/tire"
