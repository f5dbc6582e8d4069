#!/usr/bin/env bash
# The README's table: the default recipe on the rendered classes, the colour recipe on photographs of a tire.
#   benchmarks/rendered3d.sh DATA OUT      with DATA/rendered3d and DATA/mvtec3d_tire_rgb
set -euo pipefail
data=$1 out=$2
trd train --data "$data/rendered3d" --recipe lite-rgb-normals --out "$out/rendered3d"
trd train --data "$data/mvtec3d_tire_rgb" --recipe lite-rgb --out "$out/tire"
