      * Redefinitions of redefinitions, and one that is longer.
       01  REDEFINED.
           05  KIND                    PIC X.
           05  FIRST-VIEW              PIC X(8).
           05  SECOND-VIEW REDEFINES FIRST-VIEW.
               10  SECOND-A            PIC 9(4).
               10  SECOND-B            PIC S9(7) COMP-3.
           05  THIRD-VIEW REDEFINES SECOND-VIEW.
               10  THIRD-A             PIC X(3).
               10  THIRD-B             PIC 9(9).
               10  THIRD-C REDEFINES THIRD-B.
                   15  THIRD-D         PIC X(5).
                   15  THIRD-E         PIC 9(4).
           05  BEHIND                  PIC X(2).
