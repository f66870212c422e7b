from setuptools import setup

setup(name='segment_anything', version='1.0', packages=['segment_anything'], install_requires=[],
    extras_require={"all": ["matplotlib", "pycocotools", "opencv-python", "onnx", "onnxruntime"]})
