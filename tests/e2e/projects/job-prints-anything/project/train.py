import sys

sys.stdout.buffer.write(b"\xff\xfe\n50%\r100%\n\x1b[31mred\nthe end")
