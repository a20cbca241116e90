"""What MicroPython runs at boot. No update over the air replaces it: all it does is choose what to run (slots.py)."""


def chooser():
    """What the cable laid beside this file; where it did not, as on a PC, the program's own."""
    try:
        return __import__("slots")
    except ImportError:
        from vending import slots
    return slots


try:
    start = chooser().load()
except Exception as error:
    chooser().gave_out(error, True)
    raise
try:
    start()
except Exception as error:
    chooser().gave_out(error)
    raise
