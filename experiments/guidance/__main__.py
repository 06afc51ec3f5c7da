from experiments.guidance.study import STUDY
from experiments.lab.command import main

main(STUDY)
