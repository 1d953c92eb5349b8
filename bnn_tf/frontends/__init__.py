"""Binary layers for scripts that aren't written in Keras.

tflearn        layers with TFLearn's conventions; importing it switches the process to TensorFlow 1
checkpoints    weights between the checkpoints of TensorFlow 1 and Keras models; needs no TFLearn
"""
