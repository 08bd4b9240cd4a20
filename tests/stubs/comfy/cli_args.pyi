import argparse

args: argparse.Namespace
