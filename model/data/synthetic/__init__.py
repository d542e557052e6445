"""Drawn people with witnesses' captions: data for training and evaluation without real persons."""

from model.data.synthetic.outfit import CITIES
from model.data.synthetic.people import SyntheticPicture, draw_identity, draw_people
from model.data.synthetic.sheet import contact_sheet

__all__ = ["CITIES", "SyntheticPicture", "contact_sheet", "draw_identity", "draw_people"]
