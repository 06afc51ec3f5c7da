from experiments.flow_inverse.study import STUDY
from experiments.lab.command import main

main(STUDY)
