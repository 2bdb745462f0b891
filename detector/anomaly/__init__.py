"""The model: how unusual an event is for its actor, in bits, learnt from the stream as it goes by.

`features.features` turns an event into a flat dictionary, `surprise.CategoricalSurprise` is the River estimator that
scores and learns it, `model.Model` is what a cluster keeps: estimator, calibration, evidence.
"""
