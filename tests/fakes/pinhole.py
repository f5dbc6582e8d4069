"""A camera of 8 x 10 pixels; its focal lengths differ, so that rows and columns cannot be mixed up."""

from trd.types import Camera

CAMERA = Camera(fx=100, fy=110, cx=4.5, cy=3.5, depth_scale=0.001)
