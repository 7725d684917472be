      ******************************************************************
      *  CUSTOMER  고객 원장 레코드 customer master record             *
      *  Synthetic: no bank has this record.                           *
      ******************************************************************
       01  CUSTOMER-RECORD.                     *> 고객 원장 customer
           05  CUST-KEY.
               10  CUST-BRANCH      PIC 9(4).   *> 관리점번호 branch
               10  CUST-NUMBER      PIC 9(9).   *> 고객번호 number
           05  CUST-TYPE            PIC X.      *> 고객구분 kind
               88  CUST-PERSON      VALUE 'P'.
               88  CUST-COMPANY     VALUE 'C'.
               88  CUST-PUBLIC      VALUE 'G'.
           05  CUST-STATUS          PIC 99.     *> 상태코드 status
               88  CUST-ACTIVE      VALUE 00.
               88  CUST-DORMANT     VALUE 10 THRU 19.
               88  CUST-CLOSED      VALUE 90, 99.
           05  CUST-PERSON-DATA.                *> 개인 person
               10  PERSON-NAME      PIC X(20).  *> 성명 name
               10  PERSON-BORN      PIC 9(8).   *> 생년월일 born
               10  PERSON-SEX       PIC X.      *> 성별 sex
                   88  PERSON-MALE      VALUE 'M'.
                   88  PERSON-FEMALE    VALUE 'F'.
               10  PERSON-JOB       PIC 9(3).   *> 직업코드 job
           05  CUST-COMPANY-DATA REDEFINES CUST-PERSON-DATA.
               10  COMPANY-NAME     PIC X(22).  *> 상호 name
               10  COMPANY-NUMBER   PIC 9(10).  *> 사업자번호 number
           05  CUST-OPENED          PIC 9(8).   *> 개설일자 opened on
           05  CUST-OPENED-PARTS REDEFINES CUST-OPENED.
               10  OPENED-YEAR      PIC 9(4).
               10  OPENED-MONTH     PIC 99.
               10  OPENED-DAY       PIC 99.
           05  CUST-BALANCE         PIC S9(13)V99 COMP-3.  *> 총잔액
           05  CUST-CREDIT-LIMIT    PIC S9(9) COMP.        *> 한도
           05  CUST-RATE            PIC SV9(5) COMP-3.     *> 금리
           05  CUST-LAST-CHANGE     PIC S9(7)V99
                                    SIGN LEADING SEPARATE. *> 증감
           05  CUST-POINTS          PIC S9(7).             *> 포인트
           05  CUST-PHONES OCCURS 2 TIMES PIC X(12).       *> 전화번호
           05  FILLER               PIC X(4).
           05  ACCOUNT-COUNT        PIC 9(2).   *> 계좌수 accounts
           05  ACCOUNTS             OCCURS 0 TO 5 TIMES
                                    DEPENDING ON ACCOUNT-COUNT
                                    INDEXED BY ACCOUNT-INDEX.
               10  ACCOUNT-NUMBER   PIC X(14).  *> 계좌번호 account
               10  ACCOUNT-KIND     PIC X(2).   *> 과목 kind
                   88  ACCOUNT-DEMAND   VALUE '11'.
                   88  ACCOUNT-SAVING   VALUE '21'.
                   88  ACCOUNT-LOAN     VALUE '31'.
               10  ACCOUNT-BALANCE  PIC S9(13)V99 COMP-3.  *> 잔액
               10  ACCOUNT-EVENTS   PIC 9(4) COMP.         *> 거래건수
