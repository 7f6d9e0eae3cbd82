"""Reads pictures of QR codes with ZXing and with OpenCV, neither allowed to invert them.

Standard input: for each picture the length of its PNG in decimal digits and a newline, then the PNG.
Standard output: for each picture, and for each decoder of it, its name with the version, a tab, and what it read.
"""

import sys
from importlib.metadata import version

import cv2
import numpy
import zxingcpp


def zxing(picture):
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode, try_invert=False)
    return found[0].text if found else ""


def opencv(picture):
    # It has two ways to find a code's corners: one of them takes a logo's edges for such, the other wants them sharp.
    for detector in (cv2.QRCodeDetectorAruco(), cv2.QRCodeDetector()):
        try:
            text = detector.detectAndDecode(picture)[0]
        except cv2.error:  # it takes something else for corners, and stumbles
            text = ""
        if text:
            return text
    return ""


def tilted(photo, degrees):
    height, width = photo.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.9)
    return cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


def read(decoder, photo):
    # Nobody holds a telephone quite straight. OpenCV misses a straight picture now and then.
    for degrees in (0, 7, -7):
        text = read_straight(decoder, tilted(photo, degrees) if degrees else photo)
        if text:
            return text
    return ""


def read_straight(decoder, photo):
    # A camera is never quite in focus, nor at the best distance, and brings out what contrast there is.
    for scale in (1, 0.6, 0.7, 0.8, 1.5, 2):
        picture = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for blur in (0, 0.7, 1, 1.5, 2, 3):
            soft = cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture
            _, sharp = cv2.threshold(soft, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
            for view in (soft, sharp):
                text = decoder(view)
                if text:
                    return text
    return ""


DECODERS = (
    (f"ZXing {version('zxing-cpp')}", zxing),
    (f"OpenCV {version('opencv-python-headless')}", opencv),
)

while length := sys.stdin.buffer.readline():
    png = numpy.frombuffer(sys.stdin.buffer.read(int(length)), numpy.uint8)
    photo = cv2.imdecode(png, cv2.IMREAD_GRAYSCALE)
    for name, decoder in DECODERS:
        print(name, read(decoder, photo), sep="\t", flush=True)
