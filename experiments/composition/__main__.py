from experiments.composition.study import STUDY
from experiments.lab.command import main

main(STUDY)
